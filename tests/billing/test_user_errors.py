"""What the caller can fix, all of it at once, and the object as it stands."""

from gateway.billing.user_errors import Problem, ProblemCode, Rejected


def test_everything_that_must_be_fixed_is_told():
    problems = Problem(ProblemCode.URL_REQUIRED, "a", "successUrl"), Problem(ProblemCode.EMAIL_INVALID, "b")
    rejected = Rejected(*problems, current="as it stands")
    assert (str(rejected), rejected.problems, rejected.current) == ("a; b", problems, "as it stands")
