"""Moving pictures: videos, cameras and folders of frames read, and drawn videos written."""
