"""Every URL of the `native` contract, in the order of its document."""

from typing import Final

from palaver.dialects.native import (
    admin_chatbots,
    admin_models,
    admin_plans,
    admin_users,
    search,
)
from palaver.web.endpoint import Access, Endpoint

ADMIN: Final = Access.ADMIN
CLASH: Final = (409,)

ENDPOINTS: Final = (
    # Search
    Endpoint("GET", "/api/palaver/search", search.search),
    # Plans, for administrators
    Endpoint("GET", "/api/palaver/admin/plans", admin_plans.list_, ADMIN),
    Endpoint(
        "POST", "/api/palaver/admin/plans", admin_plans.create, ADMIN, status=201, refuses=CLASH
    ),
    Endpoint("GET", "/api/palaver/admin/plans/{plan_id}", admin_plans.get, ADMIN),
    Endpoint(
        "PATCH", "/api/palaver/admin/plans/{plan_id}", admin_plans.update, ADMIN, refuses=CLASH
    ),
    Endpoint(
        "DELETE",
        "/api/palaver/admin/plans/{plan_id}",
        admin_plans.delete,
        ADMIN,
        status=204,
        refuses=CLASH,
    ),
    # Users and subscriptions, for administrators
    Endpoint("GET", "/api/palaver/admin/users", admin_users.list_, ADMIN),
    Endpoint("GET", "/api/palaver/admin/users/{user}", admin_users.get, ADMIN),
    Endpoint("PUT", "/api/palaver/admin/users/{user}/subscription", admin_users.subscribe, ADMIN),
    Endpoint(
        "DELETE",
        "/api/palaver/admin/users/{user}/subscription",
        admin_users.unsubscribe,
        ADMIN,
        status=204,
    ),
    # Chatbots, for administrators
    Endpoint("GET", "/api/palaver/admin/chatbots", admin_chatbots.list_, ADMIN),
    Endpoint(
        "POST",
        "/api/palaver/admin/chatbots",
        admin_chatbots.create,
        ADMIN,
        status=201,
        refuses=CLASH,
    ),
    Endpoint("GET", "/api/palaver/admin/chatbots/{chatbot_id}", admin_chatbots.get, ADMIN),
    Endpoint(
        "PATCH",
        "/api/palaver/admin/chatbots/{chatbot_id}",
        admin_chatbots.update,
        ADMIN,
        refuses=CLASH,
    ),
    Endpoint(
        "DELETE",
        "/api/palaver/admin/chatbots/{chatbot_id}",
        admin_chatbots.delete,
        ADMIN,
        status=204,
        refuses=CLASH,
    ),
    # Models, for administrators
    Endpoint("GET", "/api/palaver/admin/models", admin_models.list_, ADMIN),
    Endpoint(
        "POST", "/api/palaver/admin/models", admin_models.create, ADMIN, status=201, refuses=CLASH
    ),
    Endpoint("GET", "/api/palaver/admin/models/{model_id}", admin_models.get, ADMIN),
    Endpoint(
        "PATCH", "/api/palaver/admin/models/{model_id}", admin_models.update, ADMIN, refuses=CLASH
    ),
    Endpoint(
        "DELETE",
        "/api/palaver/admin/models/{model_id}",
        admin_models.delete,
        ADMIN,
        status=204,
        refuses=CLASH,
    ),
)
