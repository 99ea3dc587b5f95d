"""Keeps libraries from reporting to their makers."""

import os


def refuse_telemetry() -> None:
    """Refuse the reports of ONNX Runtime, which from 1.29 on sends names of models and of the machine to Microsoft.

    It must be called before the library is imported. To have the reports, set ``ORT_DISABLE_TELEMETRY=0``.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
