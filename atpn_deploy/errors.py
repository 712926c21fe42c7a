"""Every error that a user can cause: what came, what was expected, what to type."""

from __future__ import annotations


class AtpnError(Exception):
    """Base of all; the commands print it as one line and exit with `exit_status`.

    AtpnError
    ├── ConfigError        a network or an option that does not exist
    ├── WeightsError       a checkpoint that is not one, or not this one
    ├── ImageError         an image that cannot be read as 8-bit RGB
    ├── VideoError         a video or a camera that cannot be read, or a video not written
    ├── DetectorError      a detector or a file of boxes that can't be used
    ├── FleetError         many videos that can't be worked through together
    ├── DatasetError       a data set that is missing or not laid out as its reader expects
    ├── TrainingError      a training run that cannot go on
    ├── CalibrationError   calibration data missing, foreign or too small
    ├── GoldenError        golden tensors changed or missing
    ├── MissingToolError   a toolchain or runtime that is not installed
    ├── UnsupportedError   a pair of format and quantisation that does not exist
    ├── ExportError        a toolchain that failed, or a file that cannot be written
    ├── ArtifactError      a deployable file that cannot be opened or is no ATPN
    ├── ResultsError       a result of atpn-bench that can't be read, kept or compared
    ├── ArmError           an ARM environment that is missing, stale or can't be made
    └── ParityError        a file that is not equal to the reference within its limits
    """

    exit_status = 2


class ConfigError(AtpnError):
    """A network or an option that does not exist."""


class WeightsError(AtpnError):
    """A checkpoint that is missing, truncated, pickled, foreign or damaged."""


class ImageError(AtpnError):
    """An image that cannot be read as 8-bit RGB."""


class DetectorError(AtpnError):
    """A detector that is unknown or answers with no boxes, or a file of boxes that is wrong."""


class VideoError(AtpnError):
    """A video or a camera that cannot be read, or a video that cannot be written."""


class FleetError(AtpnError):
    """Videos that can't be worked through together: no folder, no workers, nowhere to write."""


class DatasetError(AtpnError):
    """A data set that is missing or not in the layout that its reader expects."""


class TrainingError(AtpnError):
    """A training run whose loss is not a number, or a checkpoint of another run."""


class CalibrationError(AtpnError):
    """Calibration data that is missing, foreign or too small."""


class GoldenError(AtpnError):
    """Golden tensors that are missing or whose bytes have changed."""


class MissingToolError(AtpnError):
    """A toolchain or a runtime that is not installed; the message holds the pip line."""


class UnsupportedError(AtpnError):
    """A pair of format and quantisation, or an operator, that is not supported."""


class ExportError(AtpnError):
    """A toolchain that failed, or an output that cannot be written."""


class ArtifactError(AtpnError):
    """A deployable file that cannot be opened or does not follow the contract."""


class ResultsError(AtpnError):
    """A result of atpn-bench that is damaged or foreign, can't be kept, or can't be compared."""


class ArmError(AtpnError):
    """An emulated ARM environment that is missing, stale or can't be made, or that can't count."""


class ParityError(AtpnError):
    """A file whose outputs are not those of the reference within the stated limits."""

    exit_status = 1
