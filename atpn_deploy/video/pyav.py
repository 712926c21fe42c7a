"""PyAV: what reads and writes the containers and codecs of videos, if it is installed."""

from __future__ import annotations

from atpn_deploy.errors import MissingToolError


def require_pyav(purpose: str) -> None:
    """Raise MissingToolError, with the pip line, where PyAV can't be imported.

    `purpose` begins the message: "reading videos", "writing videos".
    """
    try:
        import av  # noqa: F401 (only whether it is there)
    except ImportError as error:
        raise MissingToolError(
            f"{purpose} needs PyAV: pip install -c constraints.txt 'atpn-deploy[track]'"
        ) from error
