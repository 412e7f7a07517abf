"""Candles: where they come from, where they are kept, what they must be like."""
