"""A process of live sessions on the stand-ins."""

from pipeline.live.worker import main
from tests.fakes import make_fake_studio

if __name__ == "__main__":
    main(make_fake_studio)
