"""Whether the market of a slot is flat: one class for each kind of trader that can be asked."""
