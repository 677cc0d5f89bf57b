package hapi;

import ca.uhn.fhir.batch2.jobs.config.Batch2JobsConfig;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.support.IValidationSupport;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.config.ThreadPoolFactoryConfig;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.api.model.HistoryCountModeEnum;
import ca.uhn.fhir.jpa.batch2.JpaBatch2Config;
import ca.uhn.fhir.jpa.binary.api.IBinaryStorageSvc;
import ca.uhn.fhir.jpa.binstore.DatabaseBinaryContentStorageSvcImpl;
import ca.uhn.fhir.jpa.config.HapiJpaConfig;
import ca.uhn.fhir.jpa.config.r4.JpaR4Config;
import ca.uhn.fhir.jpa.config.util.HapiEntityManagerFactoryUtil;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.config.SubscriptionSettings;
import ca.uhn.fhir.jpa.provider.IJpaSystemProvider;
import ca.uhn.fhir.jpa.provider.JpaCapabilityStatementProvider;
import ca.uhn.fhir.jpa.provider.ValueSetOperationProvider;
import ca.uhn.fhir.jpa.provider.merge.PatientMergeProvider;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.subscription.channel.config.SubscriptionChannelConfig;
import ca.uhn.fhir.jpa.subscription.match.config.SubscriptionProcessorConfig;
import ca.uhn.fhir.jpa.subscription.match.config.WebsocketDispatcherConfig;
import ca.uhn.fhir.jpa.subscription.match.deliver.email.IEmailSender;
import ca.uhn.fhir.jpa.subscription.submit.config.SubscriptionSubmitterConfig;
import ca.uhn.fhir.rest.server.RestfulServer;
import ca.uhn.fhir.rest.server.provider.ResourceProviderFactory;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import jakarta.persistence.EntityManagerFactory;
import java.util.Map;
import javax.sql.DataSource;
import org.hl7.fhir.dstu2.model.Subscription.SubscriptionChannelType;
import org.springframework.beans.factory.config.ConfigurableListableBeanFactory;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.ImportAutoConfiguration;
import org.springframework.boot.autoconfigure.jdbc.DataSourceAutoConfiguration;
import org.springframework.boot.autoconfigure.web.embedded.EmbeddedWebServerFactoryCustomizerAutoConfiguration;
import org.springframework.boot.autoconfigure.web.servlet.ServletWebServerFactoryAutoConfiguration;
import org.springframework.boot.web.servlet.ServletRegistrationBean;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Import;
import org.springframework.context.annotation.Primary;
import org.springframework.core.env.Environment;
import org.springframework.orm.jpa.JpaTransactionManager;
import org.springframework.orm.jpa.LocalContainerEntityManagerFactoryBean;

/** A HAPI FHIR R4 JPA server of the published modules, and nothing else: FHIR base /fhir, settings by -D system properties. */
@Configuration
// Three auto-configurations by name: Boot's whole set would also start Elasticsearch, Quartz, Thymeleaf and springdoc, which HAPI drags in.
@ImportAutoConfiguration({
  ServletWebServerFactoryAutoConfiguration.class, // Tomcat, server.port
  EmbeddedWebServerFactoryCustomizerAutoConfiguration.class, // server.tomcat.*
  DataSourceAutoConfiguration.class // spring.datasource.*
})
@Import({
  JpaR4Config.class, HapiJpaConfig.class, ThreadPoolFactoryConfig.class,
  JpaBatch2Config.class, Batch2JobsConfig.class, // JpaR4Config's beans want the job coordinator, whether or not a job ever runs
  SubscriptionSubmitterConfig.class, SubscriptionProcessorConfig.class,
  SubscriptionChannelConfig.class, WebsocketDispatcherConfig.class // the processor's beans want the websocket one as well
})
public class HapiMain {
  public static void main(String[] args) {
    SpringApplication app = new SpringApplication(HapiMain.class);
    app.setDefaultProperties(Map.of( // any of them can be given with -D
        "spring.datasource.url", "jdbc:h2:mem:hapi;DB_CLOSE_DELAY=-1",
        "spring.main.allow-circular-references", "true", // HAPI's own beans are circular
        "spring.main.banner-mode", "off",
        "server.tomcat.relaxed-query-chars", "|", // else Tomcat answers 400 to identifier=system|value
        "logging.level.root", "warn"));
    app.run(args);
  }

  @Bean
  JpaStorageSettings storageSettings(Environment env) { // not @Value: HAPI asks for this bean before placeholders are resolved
    JpaStorageSettings s = new JpaStorageSettings();
    s.setResourceClientIdStrategy(JpaStorageSettings.ClientIdStrategyEnum.ANY); // PUT may bring any id, also a number
    s.setResourceServerIdStrategy(JpaStorageSettings.IdStrategyEnum.UUID); // so that the server's ids cannot collide with those
    long reuse = env.getProperty("hapi.reuse", Long.class, 0L);
    s.setReuseCachedSearchResultsForMillis(reuse > 0 ? reuse : null); // null: every search is run; HAPI's own default is 60000
    // HAPI's own default (hapi.history=CACHED_ONLY_WITHOUT_OFFSET) keeps a history's count for a minute: newer versions than it counted are left out
    s.setHistoryCountMode(env.getProperty("hapi.history", HistoryCountModeEnum.class, HistoryCountModeEnum.COUNT_ACCURATE));
    s.setEnforceReferentialIntegrityOnWrite(env.getProperty("hapi.integrity", Boolean.class, true));
    s.setAllowExternalReferences(true); // absolute references to other servers
    s.setAllowContainsSearches(true); // :contains, on in the starter as well
    s.setAllowMultipleDelete(false);
    return s;
  }

  @Bean
  PartitionSettings partitionSettings() {
    return new PartitionSettings();
  }

  @Bean
  SubscriptionSettings subscriptionSettings(Environment env) {
    SubscriptionSettings s = new SubscriptionSettings();
    s.addSupportedSubscriptionType(SubscriptionChannelType.RESTHOOK); // the DSTU2 enum serves every FHIR version
    // Changes wait for this poll; HAPI's default is 5000. setSubscriptionChangeQueuedImmediately is left off: it queues a new
    // Subscription before its transaction is committed, and about half of them then fail once and become active a second later.
    s.setSubscriptionIntervalInMs(env.getProperty("hapi.hookMillis", Long.class, 500L));
    return s;
  }

  /** The subscription processor cannot be built without one. */
  @Bean
  IEmailSender emailSender() {
    return details -> { throw new UnsupportedOperationException("e-mail subscriptions"); };
  }

  /** Needed by the resource providers; HapiJpaConfig leaves the choice of store to us. */
  @Bean
  IBinaryStorageSvc binaryStorage() {
    return new DatabaseBinaryContentStorageSvcImpl();
  }

  @Bean
  @Primary
  LocalContainerEntityManagerFactoryBean entityManagerFactory(
      ConfigurableListableBeanFactory beans, FhirContext ctx, JpaStorageSettings settings, DataSource db, Environment env) {
    boolean postgres = env.getRequiredProperty("spring.datasource.url").startsWith("jdbc:postgresql");
    LocalContainerEntityManagerFactoryBean f = HapiEntityManagerFactoryUtil.newEntityManagerFactory(beans, ctx, settings);
    f.setPersistenceUnitName("HAPI_PU");
    f.setDataSource(db);
    f.setJpaPropertyMap(Map.of(
        // HAPI's own dialects, not Hibernate's: they carry what its SQL needs
        "hibernate.dialect", "ca.uhn.fhir.jpa.model.dialect." + (postgres ? "HapiFhirPostgresDialect" : "HapiFhirH2Dialect"),
        "hibernate.hbm2ddl.auto", "update",
        "hibernate.jdbc.batch_size", "20",
        "hibernate.search.enabled", "false")); // no Lucene index: no _text and _content
    return f;
  }

  @Bean
  @Primary
  JpaTransactionManager transactionManager(EntityManagerFactory emf) {
    return new JpaTransactionManager(emf);
  }

  @Bean
  ServletRegistrationBean<RestfulServer> fhir(
      IFhirSystemDao<?, ?> sys, ResourceProviderFactory resources, IJpaSystemProvider system, ValueSetOperationProvider valueSets,
      PatientMergeProvider merge, DatabaseBackedPagingProvider paging, JpaStorageSettings settings, ISearchParamRegistry params,
      IValidationSupport validation) {
    RestfulServer s = new RestfulServer(sys.getContext());
    s.registerProviders(resources.createProviders()); // CRUD, history, search, $validate, Patient/$everything
    s.registerProvider(system); // transaction, batch, system history
    s.registerProvider(valueSets); // $expand, $validate-code
    // Patient/$merge: HAPI makes this bean and leaves it to us to register it; without, it answers 400 "does not know how to handle"
    s.registerProvider(merge);
    // and taking it back reads in its Provenance which versions it made
    sys.getContext().getParserOptions().setDontStripVersionsFromReferencesAtPaths("Provenance.target");
    paging.setDefaultPageSize(20); // the starter's; the class's own default is 10, at most 50
    paging.setMaximumPageSize(200);
    s.setPagingProvider(paging);
    JpaCapabilityStatementProvider cap = new JpaCapabilityStatementProvider(s, sys, settings, params, validation);
    cap.setImplementationDescription("HAPI FHIR R4 JPA, own assembly");
    s.setServerConformanceProvider(cap);
    ServletRegistrationBean<RestfulServer> r = new ServletRegistrationBean<>(s, "/fhir/*");
    r.setLoadOnStartup(1);
    return r;
  }
}
