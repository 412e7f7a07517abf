"""The slots of a fleet, one after the other or at once: found, retrained, told in one report."""
