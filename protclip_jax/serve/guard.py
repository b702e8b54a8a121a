"""The token that requests to the API must send."""

import hmac
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer


def require_token(token: str) -> Callable[..., None]:
    """A FastAPI dependency that answers requests without `Authorization: Bearer TOKEN` with 401."""
    bearer = HTTPBearer(auto_error=False)

    def check(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> None:
        # The comparison takes constant time, so its duration reveals nothing about the token.
        if sent is None or not hmac.compare_digest(sent.credentials.encode(), token.encode()):
            raise HTTPException(
                401,
                "the token is missing or wrong; open the address that the server printed "
                "when it started",
                headers={"WWW-Authenticate": "Bearer"},
            )

    return check
