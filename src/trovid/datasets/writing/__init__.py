"""Labels written in the forms of other tools: one file a form."""

from trovid.datasets.writing.forms import FORMS, Form, write_dataset

__all__ = ["FORMS", "Form", "write_dataset"]
