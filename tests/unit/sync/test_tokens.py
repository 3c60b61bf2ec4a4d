"""Who may speak for which pod."""

from datetime import UTC, datetime, timedelta

import pytest

from everstep_operator.podspec import audience
from everstep_operator.sync.tokens import Speaker, TokenError, TokenSigner, TokenVerifier

SIGNER = TokenSigner()
NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


def a_token(*, signer: TokenSigner = SIGNER, job: str = "job-1", at: datetime = NOW, lifetime: timedelta = HOUR) -> str:
    return signer.sign(
        namespace="team",
        pod_name="finetune-0-abcde",
        pod_uid="pod-1",
        audience=audience("team", job),
        now=at,
        lifetime=lifetime,
    )


def test_a_token_of_the_job_names_its_pod() -> None:
    verifier = TokenVerifier(SIGNER.public_keys)
    assert verifier.verify(a_token(), namespace="team", job_uid="job-1") == Speaker(namespace="team", pod_uid="pod-1")


@pytest.mark.parametrize(
    ("token", "sentence"),
    [
        pytest.param(a_token(job="job-2"), "Audience doesn't match", id="of another job"),
        pytest.param(a_token(at=NOW - 2 * HOUR), "has expired", id="too old"),
        pytest.param(a_token(at=NOW + 2 * HOUR), "not yet valid", id="from the future"),
        pytest.param(a_token(signer=TokenSigner()), "is none of this cluster", id="signed by a stranger"),
        pytest.param(a_token()[:-8] + "AAAAAAAA", "Signature verification failed", id="changed on the way"),
        pytest.param("nonsense", "The token is not valid here", id="no token at all"),
    ],
)
def test_a_token_that_is_no_good_is_refused_with_the_reason(token: str, sentence: str) -> None:
    with pytest.raises(TokenError, match=sentence):
        TokenVerifier(SIGNER.public_keys).verify(token, namespace="team", job_uid="job-1")


def test_an_unsigned_token_is_refused() -> None:
    header = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0"
    with pytest.raises(TokenError):
        TokenVerifier(SIGNER.public_keys).verify(f"{header}.e30.", namespace="team", job_uid="job-1")
