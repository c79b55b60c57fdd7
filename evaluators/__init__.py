"""Counting and showing; knows neither models nor graders, only what files hold."""
