"""Dynamic-SUPERB: from answers to marks by tier, to rows by instance and group, to what wording does and what is submitted."""
