"""What is said when a document is refused."""

from collections.abc import Callable
from typing import Any

import pytest

from euthymia.errors import UserError


@pytest.fixture
def refusal(document: Any) -> Callable[..., str]:
    """What is said when the example with these lines is refused; fails when it is accepted."""

    def say(**lines: str | None) -> str:
        with pytest.raises(UserError) as caught:
            document.load(**lines)
        return str(caught.value)

    return say
