"""The words, and the contract of the grader's answer."""
