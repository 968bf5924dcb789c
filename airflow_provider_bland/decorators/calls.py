"""``@task.bland_call``: a function says whom to ring, and what about; the task rings, waits, and returns the call."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.sdk import DecoratedOperator, determine_kwargs, task_decorator_factory

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import Context, TaskDecorator


class _BlandCallDecoratedOperator(DecoratedOperator, SendCallOperator):
    """
    Rings as its function says.

    :param python_callable: returns fields of the call by argument name, or a text, which is ``task``. What it returns
        is data: nothing in it is rendered as a template. It is run anew whenever the task begins or goes on to dial, so
        it should only look things up.
    """

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *SendCallOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **SendCallOperator.template_fields_renderers,
    }
    shallow_copy_attrs: Sequence[str] = DecoratedOperator.shallow_copy_attrs
    custom_operator_name = "@task.bland_call"

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Sequence[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(python_callable=python_callable, op_args=op_args, op_kwargs=op_kwargs, **kwargs)

    def execute(self, context: Context) -> Any:
        """Ring; not by way of ``DecoratedOperator``, which fails on Airflow 3.0 when it looks for several outputs."""
        return SendCallOperator.execute(self, context)

    def _run(self, context: Context, **how: Any) -> dict[str, Any]:
        self.row = self._said(context)
        return super()._run(context, **how)

    def _said(self, context: Context) -> dict[str, Any]:
        known = {**dict(context), **self.op_kwargs}
        said = self.python_callable(*self.op_args, **determine_kwargs(self.python_callable, self.op_args, known))
        if isinstance(said, str):
            said = {"task": said}
        if not isinstance(said, Mapping):
            name = getattr(self.python_callable, "__name__", "the function")
            refused = BlandValidationError(
                "task",
                f"{name} must return fields of the call as a dict, or a text for the agent, not {type(said).__name__}.",
            )
            raise as_task_error(refused)
        return dict(said)


def bland_call_task(
    python_callable: Callable[..., Any] | None = None, multiple_outputs: bool = False, **kwargs: Any
) -> TaskDecorator:
    """
    Turn a function into a task that rings somebody.

    ::

        @task.bland_call(phone_number="{{ params.phone }}", deferrable=True)
        def remind(order: dict) -> dict:
            return {"task": "Remind the customer of order {{id}}.", "request_data": order}

    :param python_callable: the function; see :class:`~airflow_provider_bland.operators.calls.SendCallOperator` for the
        fields it may return, and for the other arguments.
    :param multiple_outputs: make each field of the call's result an XCom of its own too. What the function is said to
        return does not decide that, as the result is the call's.
    """
    return task_decorator_factory(
        python_callable,
        multiple_outputs=multiple_outputs,
        decorated_operator_class=_BlandCallDecoratedOperator,
        **kwargs,
    )
