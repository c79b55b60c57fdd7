"""Rule 5: the language of the answer."""

from __future__ import annotations

from evaluators.rules.arguments import Drawn, Given, Invalid
from evaluators.rules.base import Requirement, Rule, shown, stated
from evaluators.rules.detect import detected, is_chinese, is_english

REFERENCE_CODES = (
    *("en", "es", "pt", "ar", "hi", "fr", "ru", "de", "ja", "it", "bn", "uk", "th", "ur", "ta"),
    *("te", "bg", "ko", "pl", "he", "fa", "vi", "ne", "sw", "kn", "mr", "gu", "pa", "ml", "fi"),
)
"""What the reference accepts: section 8 of docs/closed-rules.md."""

FIXED_CODES = frozenset(REFERENCE_CODES) | {
    *("af", "ca", "cs", "cy", "da", "el", "et", "hr", "hu", "id", "lt", "lv", "mk", "nl", "no"),
    *("ro", "sk", "sl", "so", "sq", "sv", "tl", "tr", "zh"),
}
"""What langdetect 1.0.9 knows, with one code for Chinese."""


class ResponseLanguage(Rule):
    """Rule 5 of docs/closed-rules.md: the answer is in `language` (ISO 639-1); from IFEval (arXiv 2311.07911)."""

    names = ("language",)

    def reference(self, drawn: Drawn) -> Requirement:
        """Compare with what langdetect says; a text in which it finds nothing to detect passes."""
        language = drawn.get("language")
        if language is None:
            language = drawn.draw("language", REFERENCE_CODES)
        if language not in REFERENCE_CODES:
            raise ValueError(f"unknown language code {shown(language)}")
        return Requirement(
            expected=f"language {language}",
            measure=detected,
            accepts=lambda code: code is None or code == language,
            found=_name,
        )

    def fixed(self, given: Given) -> Requirement:
        """Take the code's primary part; English and Chinese have tests of their own, the rest is langdetect's."""
        language = given.text("language").replace("_", "-").split("-")[0].lower()
        if language not in FIXED_CODES:
            raise Invalid(f"language: unknown code {shown(language)}")
        if language == "en":
            return stated("English", is_english, "not English")
        if language == "zh":
            return stated("Chinese", is_chinese, "not Chinese")
        return Requirement(
            expected=f"language {language}",
            measure=_detected_in_any_case,
            accepts=lambda code: bool(code == language),
            found=_name,
        )


def _detected_in_any_case(text: str) -> str | None:
    # The detector leaves words in capitals out.
    return detected(text.lower() if text.isupper() else text)


def _name(code: str | None) -> str:
    return "nothing to detect a language from" if code is None else f"detected: {code}"
