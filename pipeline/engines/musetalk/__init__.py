"""MuseTalk 1.5 (arXiv 2410.10122): a network draws the lower face for the sound; made for a CUDA GPU.

One step of inpainting in latent space per frame, no diffusion: a UNet gets the face with its lower half hidden, the
whole face for its looks, and Whisper's features of the sound around the frame; a VAE decodes what it answers. Code
here is this project's own; weights are fetched by ``python -m pipeline.engines.musetalk.download``.
"""
