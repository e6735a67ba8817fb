"""The page of an answer: one picture, what it rests on, its numbers."""

import re
from html import unescape

from euthymia.report.answer import write_answer


def test_page_shows_question_answer_limits_and_picture(answer, tmp_path):
    text = unescape(write_answer(answer, tmp_path / "answer.html").read_text()).replace("\N{NO-BREAK SPACE}", " ")
    assert answer.question in text and answer.said in text
    for limit in answer.limits:
        assert limit[1:40] in text
    assert re.search(r'role="img" aria-label="[^"]{30,}"', text) and "<svg" in text


def test_every_number_is_in_the_table(answer, tmp_path):
    text = write_answer(answer, tmp_path / "answer.html").read_text()
    for word in answer.x_words:
        assert f'<th scope="row">{word}</th>' in text
