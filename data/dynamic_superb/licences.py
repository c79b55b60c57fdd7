"""Which licences permit passing a data set on, as far as their usual names tell."""

from __future__ import annotations

import re

PERMITS = re.compile(
    r"""\b(?:
        CC0 | CC[-\ ]BY(?:[-\ ](?:NC|SA|ND))* | creative\ commons\ (?:attribution|zero) | public\ domain | PDDL
        | Apache(?:[-\ ]License|[-\ ]Licence)?(?:,?\ version)?[-\ ]?2 | (?-i:MIT|BSD|ISC) | Zlib | Unlicense
        | A?L?GPL | GNU\ (?:Affero\ |Lesser\ )?General\ Public | MPL | ODC[-\ ]By | ODbL | CDLA | LGPLLR | O-UDA
    )(?=\b|[-_v\d])""",
    re.VERBOSE | re.IGNORECASE,
)
"""Names of licences under which verbatim copies may be passed on; some of them set conditions."""

FORBIDS = re.compile(
    r"""\b(?:all\ rights\ reserved | (?:no|not\ for|without)\ redistribution | redistribution\ is\ (?:not|forbidden)
        | (?:may|must|can)(?:\ ?not|\ not\ be)\ (?:be\ )?(?:redistributed|passed\ on|shared) | proprietary
        | LDC\ user\ agreement)\b""",
    re.VERBOSE | re.IGNORECASE,
)
"""What says that data may not be passed on."""

MENTIONS = re.compile(r"licen[cs]e", re.IGNORECASE)
