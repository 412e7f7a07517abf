"""Adapters: one module for each kind of source of candles."""
