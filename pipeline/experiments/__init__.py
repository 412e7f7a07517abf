"""Many runs of one slot compared with each other: searches over a model's settings."""
