//! The service put together: settings, start, routes, finish.

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

/// The settings that are not the kit's.
#[derive(Clone)]
pub struct Settings {
    /// Who may do what.
    pub auth: auth::Settings,
    /// The user that is to be there.
    pub administrator: Option<Administrator>,
    /// What is kept of requests.
    pub activity: activity::Settings,
}

impl Settings {
    /// Reads the settings.
    ///
    /// # Errors
    /// What is wrong with the first that cannot be understood.
    pub fn from(variables: Variables) -> Result<Self, SettingsError> {
        Ok(Self {
            auth: auth::Settings::from(variables)?,
            administrator: Administrator::from(variables)?,
            activity: activity::Settings::from(variables)?,
        })
    }
}

/// A setting that cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// One of [`auth`].
    #[error(transparent)]
    Auth(#[from] auth::keys::KeysError),
    /// One of [`activity`].
    #[error(transparent)]
    Activity(#[from] SettingError),
    /// `ADMIN_USERNAME` or `ADMIN_PASSWORD`.
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
    /// Gets everything ready in a migrated database.
    ///
    /// # Errors
    /// What the database says, or what it holds that cannot be used.
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
