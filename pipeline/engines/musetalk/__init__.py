"""MuseTalk 1.5 (arXiv 2410.10122): a network draws the lower face for the sound; made for a CUDA GPU.

One step of inpainting in latent space per frame, without diffusion: a UNet gets the face with its lower half hidden,
the whole face for its looks, and Whisper's features of the sound around the frame; a VAE decodes its output. The code
here is this project's own; ``python -m pipeline.engines.musetalk.download`` downloads the weights.
"""
