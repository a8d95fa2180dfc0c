"""The user turns that the miniature model was taught. The demo recipe uses exactly these texts.

Everything is lower case and separated by blanks, as the miniature tokenizer writes it.
"""

from __future__ import annotations

QUESTION = "ask a question about this picture ."
CHECK = "can the picture answer this question : {question} if so repeat it , if not ask another ."
DESCRIBE = (
    "describe this picture .",
    "what does the picture show ?",
    "tell what you see .",
    "give a short description .",
    "say what is in the picture .",
)
DESCRIBE_SUFFIX = "answer in one sentence ."
ANSWER_SUFFIX = "answer in one word ."
ENHANCE = "description : {description} question : {question} answer : {answer} give a better answer ."

QUESTION_LABEL = "question :"
ENHANCE_LABEL = "improved answer :"


def describe_prompt(number: int) -> str:
    """One of the describe turns, suffix included."""
    return f"{DESCRIBE[number % len(DESCRIBE)]} {DESCRIBE_SUFFIX}"


def answer_prompt(question: str) -> str:
    return f"{question} {ANSWER_SUFFIX}"


def check_prompt(question: str) -> str:
    return CHECK.replace("{question}", question)


def enhance_prompt(description: str, question: str, answer: str) -> str:
    filled = {"description": description, "question": question, "answer": answer}
    return " ".join(filled.get(word.strip("{}"), word) if word.startswith("{") else word for word in ENHANCE.split())
