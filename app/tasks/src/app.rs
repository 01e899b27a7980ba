//! The application: settings, start, routes and exit of the service.

use actix_web::web::{Data, ServiceConfig};
use kit::{
    Application, ApplicationError, Context,
    log::Answered,
    reader::Reader,
    settings::{SettingError, Variables},
};

use sea_orm::DatabaseConnection;

use crate::{
    activity::{self, Activity},
    admin,
    auth::{self, Authority},
    dialect, front, openapi,
    users::{Administrator, AdministratorError},
};

/// Settings of the service, besides those of the kit.
#[derive(Clone)]
pub struct Settings {
    /// Authentication.
    pub auth: auth::Settings,
    /// User to create at the start.
    pub administrator: Option<Administrator>,
    /// Activity log.
    pub activity: activity::Settings,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingsError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, SettingsError> {
        Ok(Self {
            auth: auth::Settings::from(variables)?,
            administrator: Administrator::from(variables)?,
            activity: activity::Settings::from(variables)?,
        })
    }
}

/// Error for an invalid setting.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// A setting of [`auth`] is invalid.
    #[error(transparent)]
    Auth(#[from] auth::keys::KeysError),
    /// A setting of [`activity`] is invalid.
    #[error(transparent)]
    Activity(#[from] SettingError),
    /// `ADMIN_USERNAME` or `ADMIN_PASSWORD` is invalid.
    #[error(transparent)]
    Administrator(#[from] AdministratorError),
}

/// The running service.
#[derive(Clone)]
pub struct Tasks {
    authority: Data<Authority>,
    activity: Activity,
    database: DatabaseConnection,
    reader: Reader,
}

impl Tasks {
    /// Starts the service on a migrated database.
    ///
    /// # Errors
    /// The error of the database, or of invalid keys in it.
    pub async fn start(settings: Settings, context: &Context) -> Result<Self, ApplicationError> {
        let Settings { auth, administrator, activity } = settings;
        if let Some(administrator) = administrator {
            administrator.ensure(&context.database).await?;
        }
        let authority = Data::new(Authority::start(auth, &context.database).await?);
        let Context { database, reader, .. } = context.clone();
        Ok(Self { authority, activity: activity::start(context, activity), database, reader })
    }
}

impl Application for Tasks {
    fn routes(&self, app: &mut ServiceConfig) {
        app.app_data(self.authority.clone())
            .configure(|app| dialect::routes(app, &self.database, &self.reader))
            .configure(auth::routes::routes)
            .configure(activity::routes::routes)
            .configure(admin::routes)
            .configure(openapi::routes)
            .configure(front::routes);
    }

    fn answered(&self, answered: &Answered) {
        self.activity.log(answered);
    }

    async fn finish(self) {
        self.activity.flush().await;
    }
}
