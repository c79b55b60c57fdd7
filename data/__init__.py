"""What was asked: records, files, the benchmark's layout, audio."""
