"""Named checks of candles and of plain tables, each a pure function that points at rows."""
