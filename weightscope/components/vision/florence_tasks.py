"""Florence-2's tasks, which its processor writes as questions (arXiv 2311.06242).

Source: `Florence2Processor` of transformers.
"""

from __future__ import annotations

from weightscope.errors import UsageError

# What a task's question leaves out is what the prompt says besides.
TASKS = {
    "<OCR>": "What is the text in the image?",
    "<OCR_WITH_REGION>": "What is the text in the image, with regions?",
    "<CAPTION>": "What does the image describe?",
    "<DETAILED_CAPTION>": "Describe in detail what is shown in the image.",
    "<MORE_DETAILED_CAPTION>": "Describe with a paragraph what is shown in the image.",
    "<OD>": "Locate the objects with category name in the image.",
    "<DENSE_REGION_CAPTION>": "Locate the objects in the image, with their descriptions.",
    "<REGION_PROPOSAL>": "Locate the region proposals in the image.",
    "<CAPTION_TO_PHRASE_GROUNDING>": "Locate the phrases in the caption: {}",
    "<REFERRING_EXPRESSION_SEGMENTATION>": "Locate {} in the image with mask",
    "<REGION_TO_SEGMENTATION>": "What is the polygon mask of region {}",
    "<OPEN_VOCABULARY_DETECTION>": "Locate {} in the image.",
    "<REGION_TO_CATEGORY>": "What is the region {}?",
    "<REGION_TO_DESCRIPTION>": "What does the region {} describe?",
    "<REGION_TO_OCR>": "What text is in the region {}?",
}


def question(text: str, end: str) -> str:
    """The text whose task, up to the `end` of a prompt, is written as a question.

    Raises:
        UsageError: a task that takes nothing is not the last of the prompt.
    """
    for task, asked in TASKS.items():
        before, found, rest = text.partition(task)
        if not found:
            continue
        given, closed = rest.removesuffix(end), end if rest.endswith(end) else ""
        if "{}" not in asked and given:
            raise UsageError(f"{task} is a task by itself: give no more text", hint=f"write --prompt '{task}'")
        return f"{before}{asked.replace('{}', given.strip())}{closed}"
    return text
