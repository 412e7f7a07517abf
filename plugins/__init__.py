"""Your own models, labels, exchanges and splits: ``_target_: plugins.<module>.<Class>``."""
