"""Dynamic-SUPERB: answers to marks by tier, these to rows of instances and groups, wordings, and scores to submit."""
