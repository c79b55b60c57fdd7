"""Ask a speech model every spoken request of a data set: items.jsonl -> responses.jsonl.

python inference.py --help
"""

from inference.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
