from collections.abc import AsyncIterator

import pytest

from openstage.identity.models import Caller
from openstage.settings import Settings
from tests.uploads.application import UploadServices, upload_services


@pytest.fixture(scope="module")
async def services(module_settings: Settings) -> AsyncIterator[UploadServices]:
    async with upload_services(module_settings, takeover=0.3) as opened:
        yield opened


@pytest.fixture(scope="module")
async def caller(services: UploadServices) -> Caller:
    return await services.caller()
