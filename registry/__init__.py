"""Every version of every slot, and which of them is champion.

::

    slots      upbit_hourly/KRW-SOL: what a slot and a version are called
    files      writing that survives a crash, locks, journals
    manifest   what a version consists of; reading it verified, every byte once
    signing    HMAC over what a version is, where a key is configured
    publishing how a version becomes visible, and what is swept
    versions   add, list, open, sign, verify
    findings   what is not as it was written
    pointers   champion, move, rollback, history, who stands in
    marks      challenger and pinned
    retention  what gc keeps and deletes
    folders    export, and reading what is added
    archive    backup and restore
    trials     every configuration that was tried
    card       what a version says of itself
    gate       promote, observe or refuse
    verbs      what the command line does
    __main__   python -m registry …

Under the root, a slot is a folder::

    upbit_hourly/KRW-SOL/v0007/               immutable: the files and manifest.json
    upbit_hourly/KRW-SOL/v0007.events.jsonl   what became known later, append-only
    upbit_hourly/KRW-SOL/champion.json        which version is served, and how
    upbit_hourly/KRW-SOL/history.jsonl        every move of that pointer, append-only
    upbit_hourly/KRW-SOL/marks.jsonl          moves of challenger and pinned, append-only
    upbit_hourly/KRW-SOL/trials.jsonl         every configuration that was tried, append-only
    upbit_hourly/KRW-SOL/budget.jsonl         every test that could let it trade, append-only

The package needs the standard library and pydantic, and nothing of the pipeline.
"""
