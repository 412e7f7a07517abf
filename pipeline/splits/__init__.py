"""Rules that cut labelled rows into training and test, and keep them apart by time."""
