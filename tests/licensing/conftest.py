import pytest

from openstage.database.engine import Database
from openstage.identity.apps import Apps
from openstage.identity.keys import Keys
from openstage.licensing.billing import BillingAccounts
from openstage.licensing.ledger import Ledger
from openstage.licensing.service import Licensing
from openstage.settings import Settings
from tests.licensing.shop import Shop


@pytest.fixture(scope="module")
def shop(module_database: Database, module_settings: Settings) -> Shop:
    """Licensing on a database that a module's tests share; each test makes its own apps and tracks."""
    return Shop(
        module_database,
        Apps(module_database, module_settings, Keys.load(module_settings.folder)),
        Licensing(module_database, module_settings),
        BillingAccounts(module_database, module_settings),
        Ledger(module_database, module_settings),
    )
