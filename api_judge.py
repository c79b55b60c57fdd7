"""Ask a grader about answers that no rule can judge: responses.jsonl -> the same lines with `pred_score`.

python api_judge.py --help
"""

from judges.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
