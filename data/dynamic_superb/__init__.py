"""Dynamic-SUPERB: instruction + audio -> label (arXiv 2309.09510); what its instances are, read as and built from."""
