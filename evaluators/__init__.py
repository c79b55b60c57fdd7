"""Counting and showing; knows neither models nor graders, only what files hold."""

# `reference` gives the published evaluator's verdicts; `fixed` repairs what is random, raises or is plainly wrong.
PROFILES = ("reference", "fixed")
FORMATS = ("table", "json", "markdown", "latex", "csv")
