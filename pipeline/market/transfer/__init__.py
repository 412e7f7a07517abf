"""Candles that come from files, and go to them."""
