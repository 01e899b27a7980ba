//! The application: settings, start and routes of the service.

use actix_web::{
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use kit::{
    Application, ApplicationError, Context,
    endpoints::{self, Endpoints},
    limit::SignInLimits,
    session::{SessionSettingError, Sessions},
    settings::{SettingError, Variables},
};

use crate::{
    api,
    pages::{self, Catalog},
    users::{Administrator, AdministratorError},
};

/// Settings of the service, besides those of the kit.
pub struct Settings {
    sessions: Sessions,
    limits: SignInLimits,
    administrator: Option<Administrator>,
}

/// Error for an invalid setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// There is no database.
    #[error(
        "WRITE_ENGINE is not set; write postgres://user:password@host:5432/bookstore, or for development sqlite:bookstore.sqlite?mode=rwc"
    )]
    NoWriter,
    /// A setting of sessions is invalid.
    #[error(transparent)]
    Session(#[from] SessionSettingError),
    /// A rate limit is invalid.
    #[error(transparent)]
    Limit(#[from] SettingError),
    /// `ADMIN_EMAIL` or `ADMIN_PASSWORD` is invalid.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, SettingsError> {
        if variables("WRITE_ENGINE").or_else(|| variables("DATABASE_URL")).is_none() {
            return Err(SettingsError::NoWriter);
        }
        Ok(Self {
            sessions: Sessions::from("bookstore_session", variables)?,
            limits: SignInLimits::from(variables)?,
            administrator: Administrator::from(variables)?,
        })
    }
}

/// The running service.
#[derive(Clone)]
pub struct Bookstore {
    sessions: Data<Sessions>,
    limits: Data<SignInLimits>,
    endpoints: Data<Endpoints>,
    catalog: Data<Catalog>,
}

impl Bookstore {
    /// Starts the service on a migrated database.
    ///
    /// # Errors
    /// The error of the database, if the administrator cannot be created.
    pub async fn start(settings: Settings, context: &Context) -> Result<Self, ApplicationError> {
        let Settings { sessions, limits, administrator } = settings;
        if let Some(administrator) = administrator {
            administrator.ensure(&context.database).await?;
        }
        let endpoints = Endpoints::new(context.database.clone(), &context.reader, &context.metrics);
        Ok(Self {
            sessions: Data::new(sessions),
            limits: Data::new(limits),
            endpoints: Data::new(endpoints),
            catalog: Data::default(),
        })
    }
}

impl Application for Bookstore {
    fn routes(&self, app: &mut ServiceConfig) {
        app.app_data(self.sessions.clone())
            .app_data(self.limits.clone())
            .app_data(self.endpoints.clone())
            .app_data(self.catalog.clone())
            .service(web::scope("/api").wrap(from_fn(endpoints::track)).configure(api::routes))
            .service(
                web::scope("").wrap(from_fn(pages::protect)).wrap(from_fn(endpoints::track)).configure(pages::routes),
            );
    }

    async fn finish(self) {}
}
