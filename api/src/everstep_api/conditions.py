"""The conditions of a job: what they are about, the reasons they give, and the sentences with the numbers.

A reason is a word for programs and belongs to one condition; a sentence is for people and may change. Reasons are also
the reasons of the events, so one table (`python -m everstep_api.conditions`) documents both.
"""

from enum import StrEnum


class ConditionType(StrEnum):
    """What a condition is about."""

    ACCEPTED = "Accepted"
    SCHEDULED = "Scheduled"
    RUNNING = "Running"
    SUSPENDED = "Suspended"
    COMPLETE = "Complete"
    FAILED = "Failed"
