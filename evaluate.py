"""Count what response files hold: responses.jsonl -> table.

python evaluate.py --help
"""

from evaluators.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
