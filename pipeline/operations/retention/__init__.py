"""What a home folder gathers, and what of it nothing needs any more."""
