"""One slot, from candles to champion: build, register, judge, promote while the market is flat."""
