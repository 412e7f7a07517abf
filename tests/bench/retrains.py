"""What whole retrains cost on recorded candles, beside what they may: CPU, wall, memory, load.

``python -m tests.bench.retrains [four walk memory load run]``; candles lie in the folder that
VINTAGE_REAL_DATA names (default ../shared/data). This module imports nothing by itself, as that of
the ``vintage`` command does not: every worker process imports it anew.
"""

if __name__ == "__main__":
    from tests.bench.retrain_costs import main

    main()
