"""Columns computed from candles: indicators, and ordered sets of them."""
