"""
Templates give what the user wrote: text stays text, and nothing is never spoken as "None".

Jinja's native mode (``render_template_as_native_obj``) reads every rendered text as Python: ``"+4722123456"`` becomes
the integer 4722123456, and ``"01234"`` becomes 1234 or breaks. Jinja's plain mode writes a missing XCom as ``None``.
"""

from __future__ import annotations

import copy
import re
import secrets
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import is_given

if TYPE_CHECKING:
    import jinja2

    class _Templater:
        def render_template(
            self, content: Any, context: Any, jinja_env: Any = None, seen_oids: set[int] | None = None
        ) -> Any: ...

        def get_template_env(self, dag: Any = None) -> Any: ...

        def _do_render_template_fields(
            self, parent: Any, template_fields: Iterable[str], *args: Any, **kw: Any
        ) -> None: ...
else:
    _Templater = object

# What a None is written as while a template is rendered; nobody else's text holds it.
_MARK: Final = f"\ue000none-{secrets.token_hex(8)}\ue000"
_SHOWN: Final = 100


class Unseen:
    """
    A value that Airflow neither renders nor shows: it keeps the text of a task's rendered fields for its UI.

    :param value: people's rows, or their numbers.
    :param text: what is shown instead.
    """

    def __init__(self, value: Any, text: str) -> None:
        self.value = value
        self._text = text

    def __str__(self) -> str:
        return self._text


def unseen(value: Any) -> Any:
    """What an :class:`Unseen` holds; anything else as it is."""
    return value.value if isinstance(value, Unseen) else value


class _Nothing:
    """Stands for ``None`` while a template is rendered."""

    def __str__(self) -> str:
        return _MARK


_NOTHING: Final = _Nothing()


def _marked(value: Any) -> Any:
    return _NOTHING if value is None else value


class RendersAsWritten(_Templater):
    """
    An operator whose template fields arrive as they were written. To be named before ``BaseOperator``.

    - A text without Jinja is left alone, in every mode.
    - A text that is one expression gives the expression's value in native mode, a string never read as anything else.
    - An expression that yields ``None``, or the word, where it is the whole text gives ``None``; amid a text it is
      refused by :meth:`refuse_unrendered`, which names field and template.
    """

    number_fields: Collection[str] = ("phone_number", "transfer_phone_number", "from_number")
    """Fields in which an integer is no text: it may have lost a plus."""
    _rendering: str | None = None
    """The field whose turn it is."""
    _gave_nothing: dict[str, str]
    _holds_nothing: dict[str, str]

    def _do_render_template_fields(self, parent: Any, template_fields: Iterable[str], *args: Any, **kw: Any) -> None:
        self._gave_nothing, self._holds_nothing = {}, {}
        for name in template_fields:
            self._rendering = name
            written = getattr(parent, name, None)
            super()._do_render_template_fields(parent, (name,), *args, **kw)
            value = getattr(parent, name, None)
            # "{{ params.year }}" gives 2026 in native mode, and a text was asked for.
            if isinstance(written, str) and type(value) is int and name not in self.number_fields:
                setattr(parent, name, str(value))
        self._rendering = None

    def render_template(
        self, content: Any, context: Any, jinja_env: Any = None, seen_oids: set[int] | None = None
    ) -> Any:
        """Render one value; collections come here again for each of their texts."""
        if not isinstance(content, str) or (seen_oids and id(content) in seen_oids):
            return super().render_template(content, context, jinja_env, seen_oids)
        env = jinja_env or self.get_template_env()
        if not any(mark in content for mark in _marks_of(env)):
            return content
        rendered = _render(env.overlay(finalize=_marked).from_string(content), context)
        if rendered is None or (isinstance(rendered, str) and rendered.strip() in (_MARK, "None")):
            self._note("_gave_nothing", content)
            return None
        if isinstance(rendered, str) and _MARK in rendered:
            self._note("_holds_nothing", content)
            return rendered.replace(_MARK, "None")
        return rendered

    def refuse_unrendered(self, given: Iterable[str] = ()) -> None:
        """
        Refuse a field in whose text a template left a ``None``. To be called before anything is dialled.

        :param given: fields that the user gave, and that may not be left with nothing.
        :raises BlandValidationError: names field and template.
        """
        for field, template in self.__dict__.get("_holds_nothing", {}).items():
            raise BlandValidationError(
                field,
                f"the template {_short(template)} gave None for a part of it, and the callee would have heard that. "
                "Check that the upstream task ran and returned something, or write a default: "
                "{{ ti.xcom_pull(...) or '...' }}.",
            )

        for field in given:
            if not is_given(getattr(self, field)):
                raise BlandValidationError(field, "is empty: its template gave nothing. If none is meant, give None.")

    def template_that_gave_nothing(self, field: str) -> str | None:
        """The template of a field, if it rendered to ``None``."""
        given: Mapping[str, str] = self.__dict__.get("_gave_nothing", {})
        return given.get(field)

    def explained(self, error: BlandValidationError) -> BlandValidationError:
        """The same error; where a template gave nothing for its field, it says so."""
        template = self.template_that_gave_nothing(re.split(r"[.[]", error.argument)[0])
        if template is None:
            return error
        return BlandValidationError(
            error.argument,
            f"{error.problem} Its template {_short(template)} gave None: check that the upstream task ran and returned "
            "something.",
        )

    def _note(self, where: str, template: str) -> None:
        if self._rendering is not None:
            self.__dict__.setdefault(where, {}).setdefault(self._rendering, template)


def _render(template: jinja2.Template, context: Any) -> Any:
    """Render with Airflow's context; in a native environment one expression gives its value, unread."""
    import jinja2.nativetypes

    env = template.environment
    # As Airflow does it: a dict made of its context would look up each of its lazy values.
    variables = copy.copy(context)
    variables.update({name: value for name, value in template.globals.items() if name not in variables})
    try:
        nodes: list[Any] = list(
            template.root_render_func(env.context_class(env, variables, template.name, template.blocks))
        )
    except Exception:  # noqa: BLE001  # raises again, with the template's line numbers
        env.handle_exception()
    if isinstance(env, jinja2.nativetypes.NativeEnvironment) and len(nodes) == 1:
        [node] = nodes
        return None if node is _NOTHING else node
    return "".join(map(str, nodes))


def _marks_of(env: jinja2.Environment) -> tuple[str, ...]:
    prefixes = (env.line_statement_prefix, env.line_comment_prefix)
    starts = (env.variable_start_string, env.block_start_string, env.comment_start_string)
    return (*starts, *(prefix for prefix in prefixes if prefix))


def _short(template: str) -> str:
    return repr(template if len(template) <= _SHOWN else f"{template[:_SHOWN]}...")
