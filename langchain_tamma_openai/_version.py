"""The package's version, read by the build and sent to traces."""

__version__ = "0.1.0"
