"""Spoken variants of one request: voices, noise, manner of speaking, disfluency.

Each module is one kind of change with a function interface; `data.build_sample` puts them together:

    tts.py              text -> speech; the table of voices (an accent is the choice of a voice)
    background.py       speech + noise at a signal-to-noise ratio
    paralinguistics.py  the same words spoken faster, higher, quieter, with stress
    disfluency.py       fluent words -> what a hesitating speaker says
    level.py            speech activity, level and resampling, which the others stand on
    intelligibility.py  word error rate of a built set
    manifest.py         what every file of a built set holds
"""
