//! Operations of the shop, shared by the pages and the API.
//!
//! A change is one transaction, which checks the rights of the user as well. Where the contract is silent: a purchase is
//! paid once, and its delivery is assigned once and after the payment.

pub mod books;
pub mod delivery;
pub mod payment;
pub mod purchases;

use actix_web::http::StatusCode;
use kit::{
    endpoints::{Scope, TransactionError},
    reply,
};
use sea_orm::{ActiveModelTrait, ConnectionTrait, DbErr, EntityTrait, PrimaryKeyTrait};

use crate::{entity::purchase, input::Faults};

/// Refusal or failure of an operation. A refusal's message is for the user.
#[derive(Debug, thiserror::Error)]
pub enum ShopError {
    /// Sent values are invalid.
    #[error("{0}")]
    Invalid(Faults),
    /// The row does not exist, or its seller has deleted it.
    #[error("Not found.")]
    NotFound,
    /// The book belongs to another seller.
    #[error("Only its seller can change this book.")]
    NotSeller,
    /// The purchase belongs to another buyer.
    #[error("This purchase belongs to another user.")]
    NotBuyer,
    /// There are fewer copies than the quantity. The message is part of the contract.
    #[error("No hay suficiente stock disponible.")]
    OutOfStock,
    /// The total price cannot be stored.
    #[error("The total price is too high. Buy fewer copies at once.")]
    TotalTooHigh,
    /// The token belongs to a purchase of another book or quantity.
    #[error("This form has already bought something else. Reload the page.")]
    TokenUsed,
    /// The purchase is paid already.
    #[error("This purchase is already paid.")]
    AlreadyPaid,
    /// The purchase is not paid yet.
    #[error("This purchase must be paid before its delivery.")]
    Unpaid,
    /// The purchase has a provider already.
    #[error("The delivery of this purchase is already assigned.")]
    AlreadyAssigned,
    /// There is no provider with this ID.
    #[error("Select one of the delivery providers.")]
    NoProvider,
    /// The operating system returned no random bytes.
    #[error("no random bytes for a token: {0}")]
    Random(getrandom::Error),
    /// The response to the commit was lost.
    #[error("The database did not confirm the change. Check whether it took effect before you repeat it.")]
    UnknownOutcome(#[source] DbErr),
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl ShopError {
    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Invalid(_) | Self::OutOfStock | Self::TotalTooHigh | Self::NoProvider => StatusCode::BAD_REQUEST,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::NotSeller | Self::NotBuyer => StatusCode::FORBIDDEN,
            Self::TokenUsed | Self::AlreadyPaid | Self::Unpaid | Self::AlreadyAssigned => StatusCode::CONFLICT,
            Self::UnknownOutcome(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Random(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Database(error) => status_of(error),
        }
    }
}

/// Returns the status of a response to a database error: 503 if a retry may succeed.
pub fn status_of(error: &DbErr) -> StatusCode {
    if reply::is_unavailable(error) { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::INTERNAL_SERVER_ERROR }
}

impl From<Faults> for ShopError {
    fn from(faults: Faults) -> Self {
        Self::Invalid(faults)
    }
}

impl TransactionError for ShopError {
    fn database(&self) -> Option<&DbErr> {
        match self {
            Self::Database(error) => Some(error),
            _ => None,
        }
    }

    fn unknown_outcome(error: DbErr) -> Self {
        Self::UnknownOutcome(error)
    }
}

/// Inserts a row and reads it again. SQLite does not name the converted amounts that `RETURNING` contains.
async fn insert<A>(transaction: &impl ConnectionTrait, row: A) -> Result<<A::Entity as EntityTrait>::Model, DbErr>
where
    A: ActiveModelTrait,
    <<A::Entity as EntityTrait>::PrimaryKey as PrimaryKeyTrait>::ValueType: Clone,
{
    let id = <A::Entity as EntityTrait>::insert(row).exec(transaction).await?.last_insert_id;
    A::Entity::find_by_id(id).one(transaction).await?.ok_or(DbErr::RecordNotInserted)
}

/// Returns a purchase for its buyer.
///
/// # Errors
/// [`ShopError::NotFound`] or [`ShopError::NotBuyer`].
pub async fn purchase(scope: &Scope, buyer: i64, id: i64) -> Result<purchase::Model, ShopError> {
    let found = scope.find(async |database| purchase::Entity::find_by_id(id).one(database).await).await?;
    of_buyer(found, buyer)
}

/// Returns a purchase for its buyer, in a transaction.
async fn purchase_in(transaction: &impl ConnectionTrait, buyer: i64, id: i64) -> Result<purchase::Model, ShopError> {
    of_buyer(purchase::Entity::find_by_id(id).one(transaction).await?, buyer)
}

fn of_buyer(found: Option<purchase::Model>, buyer: i64) -> Result<purchase::Model, ShopError> {
    let purchase = found.ok_or(ShopError::NotFound)?;
    if purchase.user_id == buyer { Ok(purchase) } else { Err(ShopError::NotBuyer) }
}
